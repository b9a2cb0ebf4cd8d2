"""Answer which class images show, with a model file alone.

$ python -m resnext PICTURE ... --model model.onnx
"""

import argparse
import sys

from resnext.contracts.errors import InputError
from resnext.contracts.formatting import percent, printable
from resnext.contracts.threshold import REFER
from resnext.inference.model import load_model


def main() -> int:
    """Read the command line, print a line an image, and give the exit code."""
    parser = argparse.ArgumentParser(prog="python -m resnext", description=__doc__)
    parser.add_argument("pictures", nargs="+", metavar="PICTURE", help="an image file")
    parser.add_argument(
        "--model", required=True, help="model.onnx, which needs no torch, or model.safetensors"
    )
    asked = parser.parse_args()
    try:
        model = load_model(asked.model)
        for picture in asked.pictures:
            answer = model.predict(picture)
            share = percent(answer.probabilities[answer.name], " ")
            said = f"{printable(answer.name)} {share}"
            said = f"{REFER} ({said})" if answer.refer else said
            print(f"{printable(picture)}: {said}", flush=True)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
