"""The learning rate and the decay of averaged weights, as pure functions of the step.

A training that is taken up again in the middle needs no more than the step to go on alike. Knows
no torch.

Source: Loshchilov and Hutter 2017, arXiv:1608.03983 (cosine); Smith and Topin 2018,
arXiv:1708.07120 (one cycle, here as torch's `OneCycleLR` has it); Goyal et al. 2017,
arXiv:1706.02677 (warm-up).
"""

import math

from resnext.training.recipe import Recipe

CYCLE_START, CYCLE_END = 25.0, 1e4  # the peak over the first rate, the first over the last
CYCLE_RISE = 0.3  # share of the steps in which the rate rises


def learning_rate(step: int, total_steps: int, steps_per_epoch: int, recipe: Recipe) -> float:
    """Give the learning rate of one step, counted from 0.

    It rises linearly over the warm-up, reaching the peak at its last step. Then a cosine falls
    along half a wave that would reach 0 at step `total_steps`; a step schedule multiplies every
    so many epochs, counted from the first one. One cycle has a rise of its own and no warm-up.
    """
    if recipe.schedule == "one-cycle":
        return recipe.lr * _cycle(step, total_steps)
    warmup_steps = min(round(recipe.warmup_epochs * steps_per_epoch), total_steps)
    if step < warmup_steps:
        return recipe.lr * (step + 1) / warmup_steps
    if recipe.schedule == "constant":
        return recipe.lr
    if recipe.schedule == "step":
        times = step // (recipe.step_epochs * steps_per_epoch)
        return float(recipe.lr * recipe.step_factor**times)
    share = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return recipe.lr * _fall(1.0, 0.0, share)


def ema_decay(step: int, decay: float) -> float:
    """Give the decay of averaged weights after a step, counted from 0: less at the start.

    Else the average would hold on to the first, random weights for a thousand steps.

    Source: the warm-up of TensorFlow's `ExponentialMovingAverage`, (1 + step) / (10 + step).
    """
    return min(decay, (1 + step) / (10 + step))


def _cycle(step: int, total_steps: int) -> float:
    """Give the share of the peak: up along a cosine, then down along another, to nearly 0."""
    rise = CYCLE_RISE * total_steps - 1
    if step <= rise:
        return _fall(1 / CYCLE_START, 1.0, step / rise if rise > 0 else 1.0)
    share = (step - max(rise, 0)) / max(1.0, total_steps - 1 - max(rise, 0))
    return _fall(1.0, 1 / CYCLE_START / CYCLE_END, share)


def _fall(start: float, end: float, share: float) -> float:
    """Go from one value to another along half a cosine wave."""
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * share))
