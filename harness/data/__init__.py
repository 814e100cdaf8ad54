"""Text to tokens: the synthetic corpus, tokenizers, shards, data folders."""
