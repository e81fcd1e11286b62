"""Finds faces, aligns and embeds them, judges their quality, and searches templates one to many."""
