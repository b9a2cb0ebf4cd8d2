"""Measure how fast a frozen network gives features, against the bare network of timm.

    python -m tests.benchmarks.bench_probe

Both see the same batch of `tf_efficientnet_lite2` at its usual size, in turns. The bare network is
shown in both memory formats; the features, in the format that a run would choose, are compared with
its better one.
"""

from functools import partial

import timm
import torch
from torch import Tensor, nn

from resnext.device import count_cpus, plan_compute
from resnext.models.architectures import find_architecture
from resnext.models.probe import Embedding
from resnext.speed import fastest
from resnext.training.formats import measure_formats
from resnext.training.probe import BATCH
from tests.benchmarks.bench_model import FORMATS, Step, alternate, best, ratio
from tests.benchmarks.measuring import describe_machine, render

NETWORK = "tf_efficientnet_lite2"
GOAL = 0.9
ROUNDS = 5


def main() -> None:
    """Measure, and print a table in views a second."""
    torch.set_num_threads(count_cpus())
    torch.manual_seed(0)
    record = find_architecture(NETWORK)
    side = record.input_size
    images = torch.randn(BATCH, 3, side, side)
    networks: dict[str, tuple[nn.Module, str]] = {
        f"timm/{name}": (timm.create_model(NETWORK), name) for name in FORMATS
    }
    compute = plan_compute("cpu")
    measured = measure_formats(NETWORK, side, compute, training=False)
    chosen = fastest(measured, compute.memory_format)
    networks[f"features/{chosen}"] = Embedding(record), chosen

    def forward(network: nn.Module, layout: str) -> Tensor:
        with torch.inference_mode():
            found: Tensor = network(given[layout])
        return found

    given = {name: images.contiguous(memory_format=layout) for name, layout in FORMATS.items()}
    steps: dict[str, Step] = {}
    for title, (network, layout) in networks.items():
        network.eval().to(memory_format=FORMATS[layout])
        steps[title] = partial(forward, network, layout)
    rates = alternate(steps, BATCH, ROUNDS)
    bare, ours = best(rates, "timm"), best(rates, "features")
    found = ratio(rates, ours, bare)
    print(describe_machine(torch.get_num_threads()))
    rows = [[name, f"{sorted(each)[len(each) // 2]:.1f}"] for name, each in rates.items()]
    print(render([f"{NETWORK} at {side} px", "views/s"], rows))
    print(
        f"features against {bare}: {found:.2f}, goal {GOAL}: {'met' if found >= GOAL else 'MISSED'}"
    )


if __name__ == "__main__":
    main()
