#!/bin/sh
# The next edge model on one GPU, by one command: short contexts taught to the words' Whisper, then the tagger on it.
#
#     sh make_next_model.sh WHISPER_DIR PACK OUT [SECONDS_OF_DISTILLATION] [STEPS_OF_THE_TAGGER]
#
# WHISPER_DIR is openai/whisper-base as transformers keeps it; PACK what pack_recordings.py wrote, its archives unpacked
# in it. Needs torch, transformers, peft, scikit-learn, scipy and soundfile; converts to CTranslate2 where that and
# evoxtral are installed. Every step leaves what it made in OUT and is not made again: after a kill, the same command goes on.
# In OUT: words/adapter.pt, log.txt, hf, ct2; encoder4.pt; tagger/ with every variant's weights and log.txt; report.txt.
set -eu
cd "$(dirname "$0")"
whisper=$1 pack=$2 out=$3 seconds=${4:-300} steps=${5:-1300}
export PYTHONUNBUFFERED=1
mkdir -p "$out/words" "$out/tagger"

if [ ! -d "$out/words/hf" ]; then
    python3 ../short-contexts/teach_short_contexts.py --whisper "$whisper" --pack "$pack" --output "$out/words" --seconds "$seconds" \
        --steps 100000 ${MOST:+--most "$MOST"} ${BATCH:+--batch "$BATCH"}
fi
if [ ! -f "$out/encoder4.pt" ]; then
    python3 whisper_middle.py --whisper "$out/words/hf" --output "$out/encoder4.pt"
fi
# The same network with and without plain English in the emotion loss, half the steps that it learnt its clips by heart in.
for variant in plain-emotion no-plain-emotion; do
    if [ ! -f "$out/tagger/$variant/done" ]; then
        flag=""
        [ "$variant" = no-plain-emotion ] && flag="--no-plain-emotion"
        python3 train_tagger.py --pack "$pack" --encoder "$out/encoder4.pt" --output "$out/tagger/$variant" \
            --steps "$steps" --short $flag ${MOST:+--most "$MOST"} ${BATCH:+--batch "$BATCH"}
        touch "$out/tagger/$variant/done"
    fi
done
grep -h "WER\|macro-F1\|plain:\|right\|synthetic" "$out/words/log.txt" "$out/tagger/plain-emotion/log.txt" \
    "$out/tagger/no-plain-emotion/log.txt" > "$out/report.txt" || true
cat "$out/report.txt"
