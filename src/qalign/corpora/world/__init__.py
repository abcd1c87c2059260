"""The embedded world: word problems in many languages that the package makes itself."""
