"""Decodes cameras and produces sealed frames, only under an active deployment order: `frames.v1`."""
