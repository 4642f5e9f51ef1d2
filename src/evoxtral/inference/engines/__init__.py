"""Transcription engines: windows of audio in, hypotheses out. Each is an object behind `protocol`."""
