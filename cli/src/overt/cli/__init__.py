"""The `overt` command: everything in one process, and the tools around a deployment."""
