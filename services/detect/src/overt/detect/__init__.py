"""Finds faces, follows each within one camera's view and hands on its best shots: `frames.v1` to `faces.v1`."""
