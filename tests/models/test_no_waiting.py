"""A fast form waits for no device."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from hsisr.models.dacn_equivariant import DacnEquivariant
from hsisr.models.fast.dacn_equivariant import FastDacnEquivariant


class NoQuestions(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Nothing that would wait for a device, or copy from the processor."""

    FORBIDDEN = ("_local_scalar_dense", "nonzero", "is_nonzero", "equal", "item")

    def __torch_dispatch__(
        self,
        func: torch._ops.OpOverload,
        types: object,
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        assert func.overloadpacket.__name__ not in self.FORBIDDEN, func
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("scale", [2, 4])
@torch.no_grad()
def test_the_fast_form_asks_nothing_of_the_device(scale: int) -> None:
    """In float16 the processor runs what a GPU would."""
    descriptor = DacnEquivariant.descriptor(scale)
    network = FastDacnEquivariant(DacnEquivariant.of(descriptor)).half()
    lr, zero = torch.rand(1, descriptor.group_size, 9, 8), torch.zeros(1, 32, 1, 1)
    network(lr, zero)  # tables are made once
    with NoQuestions():  # type: ignore[no-untyped-call]
        network(lr, zero)
