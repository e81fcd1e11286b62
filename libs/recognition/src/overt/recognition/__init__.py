"""Finds faces, aligns and embeds them, judges their quality, and searches templates one to many."""

import os

# ONNX Runtime would keep a device id and a queue of usage events in the user's home and may send them:
# nothing here reports to anybody. Read once, when onnxruntime is imported, so it stands before all of us.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
