"""Trains trees on the features that `leafrank fit trees --features-out` writes.

Usage: trees.py FEATURES.npy MODEL.txt        (needs numpy and lightgbm)

Then `leafrank fit trees --import MODEL.txt --scale 0.333333 --out trees.model`. The trees start from the
formula's score, three times, and are worth a third: what they add is a correction on the formula's scale.
Nothing here has been tuned on the users that it is measured on; see docs/QUALITY.md.
"""

import sys

import lightgbm
import numpy
from numpy.lib.recfunctions import structured_to_unstructured

START = 3.0
# More of these never speaks against a hit.
RISING = {"relevance", "memory", "slow", "fast", "of_best", "share", "brand_share", "same_attributes_share"}


def main(source, target):
    rows = numpy.load(source)
    names = [name for name in rows.dtype.names if name not in ("list", "person", "chosen", "base")]
    starts = numpy.r_[0, numpy.flatnonzero(numpy.diff(rows["list"])) + 1]
    sizes = numpy.diff(numpy.r_[starts, len(rows)])
    chosen = numpy.add.reduceat(rows["chosen"], starts) > 0
    kept = numpy.repeat(chosen, sizes)
    parameters = {
        "objective": "lambdarank",
        "lambdarank_truncation_level": 12,
        "learning_rate": 0.1,
        "num_leaves": 15,
        "min_data_in_leaf": 300,
        "lambda_l2": 10,
        "feature_fraction": 0.5,
        "max_bin": 63,
        "monotone_constraints": [int(name in RISING) for name in names],
        "use_missing": False,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "seed": 1,
        "verbosity": -1,
    }
    data = lightgbm.Dataset(
        structured_to_unstructured(rows[names])[kept],
        rows["chosen"][kept].astype(numpy.int8),
        group=sizes[chosen],
        init_score=START * rows["base"][kept].astype(numpy.float64),
        feature_name=names,
        params=parameters,
    )
    lightgbm.train(parameters, data, 60).save_model(target)


if __name__ == "__main__":
    main(*sys.argv[1:])
