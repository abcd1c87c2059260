"""An OpenAI-compatible server on loopback with the model of a folder: `python ... PORT FOLDER LOG KIND`.

It answers prompts of token ids (`/v1/completions`) and chats. Of KIND `chat` it refuses token ids, as `transformers serve`
does. Of KIND `again` it puts a beginning-of-sequence token before them. Each request is appended to LOG: a prompt, or the
text of a chat.
"""

from __future__ import annotations

import json
import sys
import threading
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from replies import JsonHandler

from qalign.alignment.encoding import decode
from qalign.alignment.prompts import encode_prompts
from qalign.alignment.prompts import prompt as study_prompt
from qalign.generation import DecodingConfig
from qalign.generation.local import Local, open_local
from qalign.placement import Placement

PORT, FOLDER, LOG, KIND = int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
LOCK = threading.Lock()


def opened(most: int) -> Local:
    return open_local(FOLDER, DecodingConfig(max_new_tokens=most), Placement(device="cpu", batch_size=1))


MODEL = opened(1)


class Handler(JsonHandler):
    def answer(self, asked: Any) -> None:
        is_chat = self.path == "/v1/chat/completions"
        prompt = asked["messages"][0]["content"] if is_chat else asked["prompt"]
        with LOCK, LOG.open("a", encoding="utf-8") as log:
            log.write(json.dumps(prompt) + "\n")
        if not is_chat and KIND == "chat":
            self.reply(400, {"detail": "prompt must be a string."})
            return
        ids = encode_prompts([study_prompt(prompt)], MODEL.tokenizer)[0] if is_chat else list(prompt)
        ids = [MODEL.tokenizer.bos_token_id, *ids] if KIND == "again" else ids
        model = Local(MODEL.model, MODEL.tokenizer, DecodingConfig(max_new_tokens=asked["max_tokens"]), 1, 1)
        with LOCK:
            ((_, answer, finish),) = model.answers([ids], ["0"])
        text = decode(answer, MODEL.tokenizer)
        said: dict[str, Any] = {"message": {"role": "assistant", "content": text}} if is_chat else {"text": text}
        usage = {"prompt_tokens": len(ids), "completion_tokens": len(answer)}
        self.reply(200, {"choices": [{"index": 0, "finish_reason": finish, **said}], "usage": usage})


ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
