"""Compile the Triton kernels to the machine code of GPUs that need not be there."""

from __future__ import annotations

import itertools

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from ner.model.kernels import crf_triton

TYPES = {"words": "i32", "num_tags": "i32", "blocks": "i32", "directions": "i32"}
POINTERS = {
    "gold_tags": "*i64", "mask": "*i8", "allowed_first": "*i8", "allowed": "*i8", "allowed_last": "*i8",
    "values": "*fp64", "priors": "*fp64", "metadata": "*i32", "log_partition": "*fp64", "gold_score": "*fp64",
    "weights": "*fp32", "sums": "*fp64", "pointers": "*i8", "tags_out": "*i64", "score_out": "*fp64",
}  # fmt: skip


def main() -> None:
    """Both kinds of chain, float32 and bfloat16, for compute capability 8.0 and 9.0."""
    kernels = [crf_triton._recursion, crf_triton._posterior, crf_triton._viterbi]
    for kernel, constrained, emissions, capability in itertools.product(
        kernels, (False, True), ("fp32", "bf16"), (80, 90)
    ):
        constants = {"PADDED": 16, "CONSTRAINED": constrained, "LEAST": 1e-140, "SPAN": 16}
        constants = {name: value for name, value in constants.items() if name in kernel.arg_names}
        signature = {
            name: "constexpr" if name in constants else TYPES.get(name) or POINTERS.get(name) or "*fp32"
            for name in kernel.arg_names
        }
        for name in signature.keys() & {"emissions", "target"}:
            signature[name] = f"*{emissions}"
        source = ASTSource(kernel, signature, {(kernel.arg_names.index(name),): v for name, v in constants.items()})
        compiled = triton.compile(source, target=GPUTarget("cuda", capability, 32), options={"num_warps": 1})
        print(kernel.__name__, constrained, emissions, capability, len(compiled.asm["cubin"]))


if __name__ == "__main__":
    main()
