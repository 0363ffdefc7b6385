#!/usr/bin/env python3
"""Writes random layout operations with the answers of pycute (PyPI: nvidia-cutlass), for pycute_test.cpp:

    PYTHONPATH=... python3 tests/layout/pycute_cases.py > /tmp/cases.txt
    ROSE_PYCUTE_CASES=/tmp/cases.txt build/bin/layout_test --gtest_filter='Pycute.*'

One case a line: operation, operands and answer, separated by tabs. Operations that pycute refuses are left out.
"""

import random

import pycute
from pycute import Layout

random.seed(1)


def text(value):
    if isinstance(value, Layout):
        return f"{text(value.shape)}:{text(value.stride)}"
    if isinstance(value, tuple):
        return "(" + ",".join(text(mode) for mode in value) + ")"
    return str(value)


def shape(nesting):
    if nesting == 0 or random.random() < 0.3:
        return random.choice([1, 2, 2, 3, 4, 4, 6, 8])
    return tuple(shape(nesting - 1) for _ in range(random.randint(1, 3)))


def strides_for(extents, choose):
    if isinstance(extents, tuple):
        return tuple(strides_for(mode, choose) for mode in extents)
    return choose(extents)


def any_layout(nesting=2):
    extents = shape(nesting)
    return Layout(extents, strides_for(extents, lambda _: random.choice([0, 1, 1, 2, 2, 3, 4, 6, 8, 16, 24, 64])))


def injective_layout(nesting=2):
    leaves = []
    extents = shape(nesting)
    strides_for(extents, leaves.append)
    order = random.sample(range(len(leaves)), len(leaves))
    strides, step = [0] * len(leaves), 1
    for i in order:
        step *= random.choice([1, 1, 2, 3])
        strides[i] = step
        step *= leaves[i]
    at = iter(strides)
    return Layout(extents, strides_for(extents, lambda _: next(at)))


def case(name, operation, *operands):
    try:
        answer = operation(*operands)
    except AssertionError:
        return
    print("\t".join([name, *map(text, operands), text(answer)]))


for _ in range(20000):
    case("coalesce", pycute.coalesce, any_layout())
    case("filter", pycute.filter, any_layout())
    case("composition", pycute.composition, any_layout(), any_layout())
    case("composition", pycute.composition, injective_layout(), injective_layout(1))
    case("complement", pycute.complement, random.choice([any_layout, injective_layout])(), random.randint(1, 300))
    case("right_inverse", pycute.right_inverse, injective_layout())
    case("left_inverse", pycute.left_inverse, injective_layout())
    case("logical_divide", pycute.logical_divide, any_layout(), injective_layout(1))
    case("zipped_divide", pycute.zipped_divide, injective_layout(), injective_layout(1))
    case("logical_product", pycute.logical_product, injective_layout(1), injective_layout(1))
