"""The HTTP server: transcription over the network, and the Studio.

Knows HTTP and nothing of how speech becomes text. Start reading at `evoxtral.server.app`.
"""
