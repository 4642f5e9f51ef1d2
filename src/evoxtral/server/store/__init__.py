"""What a server keeps: transcripts with their versions, the audio they are of, and the jobs that it accepted.

`opening.open_store` opens it; SQLite or PostgreSQL holds the records, a folder beside it the files.
"""
