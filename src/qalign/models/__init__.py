"""Models on disk: their files checked, opened and saved, and the base named `tiny`."""
