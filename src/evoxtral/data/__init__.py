"""The nouns of corpora and benchmarks: records, journals, folders, clips. Knows files; nothing of models or speech."""
