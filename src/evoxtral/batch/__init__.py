"""Many recordings, from folders, manifests and object stores, to files of transcripts; killed at any moment it goes on.

Stands on `inference`; knows nothing of servers or of what the transcripts are for.
"""

from evoxtral.batch.running import BatchSettings, BatchSummary, run_batch

__all__ = ["BatchSettings", "BatchSummary", "run_batch"]
