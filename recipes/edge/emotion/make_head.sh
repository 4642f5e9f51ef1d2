#!/bin/sh
# The emotion head of a model.bin, from the public sets to models/edge/emotion.npz. See README.md beside this file.
#   sh recipes/edge/emotion/make_head.sh SETS SYN WORK [MODEL_FOLDER]
set -eu
here=$(dirname "$0")
sets=$1 synthetic=$2 work=$3 model=${4:-src/evoxtral/models/edge}
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
mkdir -p "$work"
python "$here/make_features.py" --sets "$sets" --synthetic "$synthetic" --model "$model" --output "$work/features.npz"
python "$here/fit_head.py" --features "$work/features.npz" --output "$model/emotion.npz" | tee "$work/report.txt"
