"""Pretrained networks that turn pictures and words into vectors for the memory (``memory_bank.features``)."""
