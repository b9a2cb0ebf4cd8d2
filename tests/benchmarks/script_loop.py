"""The loop of the script that the project began as, written out apart from the engine.

`ImageFolder`, `DataLoader` without workers, SGD at 1e-4, two `.item()` a batch, and the test part
after each epoch.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import Compose, Normalize, Resize, ToTensor

from resnext.models.architectures import MEAN, STD

Loader = DataLoader[tuple[Tensor, Tensor]]
EVAL_STEPS = (ToTensor(), Normalize(MEAN, STD))


def load(root: Path, size: int, batch_size: int, *, shuffle: bool = False) -> Loader:
    """Give the batches of class folders as the script does."""
    folder = ImageFolder(str(root), transform=Compose([Resize((size, size)), *EVAL_STEPS]))
    return DataLoader(folder, batch_size=batch_size, shuffle=shuffle)


def run_epoch(
    model: nn.Module, train: Loader, test: Loader, optimizer: torch.optim.Optimizer
) -> tuple[float, float]:
    """Train an epoch and measure the test part; give the two losses."""
    return train_epoch(model, train, optimizer), test_epoch(model, test)


def train_epoch(model: nn.Module, loader: Loader, optimizer: torch.optim.Optimizer) -> float:
    """Train once over the batches; give the mean of their losses."""
    criterion = nn.CrossEntropyLoss()
    losses = right = 0.0
    model.train()
    for images, labels in loader:
        logits = model(images)  # (B, C)
        loss = criterion(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        right += (logits.argmax(1) == labels).type(torch.float).sum().item()
        losses += loss.item()
    return losses / len(loader)


@torch.no_grad()
def test_epoch(model: nn.Module, loader: Loader) -> float:
    """Measure the batches; give the mean of their losses."""
    criterion = nn.CrossEntropyLoss()
    losses = 0.0
    model.eval()
    for images, labels in loader:
        losses += criterion(model(images), labels).item()
    return losses / len(loader)
