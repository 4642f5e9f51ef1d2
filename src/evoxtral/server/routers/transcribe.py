"""`POST /transcribe`: one uploaded recording in, its transcript out."""

from typing import Annotated

from fastapi import APIRouter, File, Request, UploadFile

from evoxtral.inference.transcript import Transcript
from evoxtral.server.problems import MEDIA_TYPE
from evoxtral.server.worker import Worker

router = APIRouter(tags=["transcription"])

PROBLEMS = {
    400: "The file is not audio that can be used.",
    413: "The upload is larger than the server's limit.",
    422: "The form has no field `file` that holds a file.",
}


@router.post(
    "/transcribe",
    responses={
        status: {"description": description, "content": {MEDIA_TYPE: {}}} for status, description in PROBLEMS.items()
    },
)
async def transcribe(
    request: Request, file: Annotated[UploadFile, File(description="Any audio or video file.")]
) -> Transcript:
    """Transcribe the form field `file` into tagged text with its words, tags and segments."""
    worker: Worker = request.app.state.worker
    return await worker.transcribe(file.file, name=file.filename or "upload")
