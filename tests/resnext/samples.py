"""What tests of several rooms of the library share."""

from resnext.device import Compute

CPU = Compute(
    device="cpu", threads=1, precision="fp32", memory_format="contiguous", deterministic=False
)
