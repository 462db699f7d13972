"""The inner loops of the search in machine code, by numba: extra ``search``. Imported only where it is installed.

On processors with AVX2 (x86 of the last ten years) codes are read 32 bytes at a time; ``HAS_CODES`` tells.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import llvmlite.binding
import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic

from memory_bank.episodes.search.codes import LANES

HAS_CODES = bool(llvmlite.binding.get_host_cpu_features().get("avx2", False))

_SHORT, _INT = ir.IntType(16), ir.IntType(32)
_BYTES, _SHORTS, _INTS = ir.VectorType(ir.IntType(8), LANES), ir.VectorType(_SHORT, 16), ir.VectorType(_INT, 8)


def _compiled(function: Callable[..., Any]) -> Any:
    # Tests wrap every function to check shapes; numba needs the plain one.
    return numba.njit(inspect.unwrap(function), cache=True, boundscheck=False, fastmath=True)


def _all(vector: Any, value: int) -> Any:
    return ir.Constant(vector, [value] * vector.count)


def _external(builder: Any, name: str, result: Any, *arguments: Any) -> Any:
    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, arguments), name)


def _stretch(builder: Any, code: Any, query: Any, n_bytes: Any) -> Any:
    """Emit four times the products of the digits in 32 bytes of a code with the query, summed to eight numbers.

    ``pmaddubsw`` multiplies unsigned with signed bytes and adds pairs in 16 bits, which four such sums cannot exceed:
    digits are at most 3, those at odd places are left four times too large, the query is at most 127.
    """
    multiply = _external(builder, "llvm.x86.avx2.pmadd.ub.sw", _SHORTS, _BYTES, _BYTES)
    add_pairs = _external(builder, "llvm.x86.avx2.pmadd.wd", _INTS, _SHORTS, _SHORTS)

    def load(address: Any) -> Any:
        return builder.load(builder.inttoptr(address, _BYTES.as_pointer()), align=1)

    low = load(code)
    high = builder.bitcast(builder.lshr(builder.bitcast(low, _SHORTS), _all(_SHORTS, 4)), _BYTES)
    sums = []
    for source, mask in ((low, 3), (low, 12), (high, 3), (high, 12)):
        sums.append(builder.call(multiply, [builder.and_(source, _all(_BYTES, mask)), load(query)]))
        query = builder.add(query, n_bytes)
    even = builder.call(add_pairs, [builder.add(sums[0], sums[2]), _all(_SHORTS, 4)])
    odd = builder.call(add_pairs, [builder.add(sums[1], sums[3]), _all(_SHORTS, 1)])
    return builder.add(even, odd)


def _emit_code_dot(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Emit the loop over a code."""
    code, query, n_bytes = arguments
    del context, signature
    total = cgutils.alloca_once_value(builder, _all(_INTS, 0))
    step = ir.Constant(n_bytes.type, LANES)
    with cgutils.for_range_slice(builder, ir.Constant(n_bytes.type, 0), n_bytes, step) as (at, _):
        found = _stretch(builder, builder.add(code, at), builder.add(query, at), n_bytes)
        builder.store(builder.add(builder.load(total), found), total)
    reduce = _external(builder, "llvm.vector.reduce.add.v8i32", _INT, _INTS)
    return builder.ashr(builder.call(reduce, [builder.load(total)]), ir.Constant(_INT, 2))


@intrinsic
def _code_dot(typing: Any, code: Any, query: Any, n_bytes: Any) -> Any:
    """Dot product of a code's digits with a query in bytes: two addresses and the length of the code."""
    del typing, code, query, n_bytes
    return numba.types.int32(numba.types.intp, numba.types.intp, numba.types.intp), inspect.unwrap(_emit_code_dot)


@_compiled
def _estimate(codes: Any, factors: Any, rows: Any, first: Any, query: Any, offset: Any, unit: Any, out: Any) -> None:
    """Write the estimated dot product with a query of ``len(out)`` rows: those named, or if none from ``first`` on."""
    n_bytes, turned = codes.shape[1], query.ctypes.data
    code = codes.ctypes.data + first * n_bytes
    if len(rows) > 0:
        for i in range(out.shape[0]):
            dot = _code_dot(code + (rows[i] - first) * n_bytes, turned, n_bytes)
            out[i] = (np.float32(dot) - offset) * factors[rows[i]] * unit
    elif n_bytes == 96:
        # A number known beforehand lets the loop over the code be unrolled.
        for i in range(out.shape[0]):
            dot = _code_dot(code + i * 96, turned, 96)
            out[i] = (np.float32(dot) - offset) * factors[first + i] * unit
    else:
        for i in range(out.shape[0]):
            dot = _code_dot(code + i * n_bytes, turned, n_bytes)
            out[i] = (np.float32(dot) - offset) * factors[first + i] * unit


def _emit_pointer(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))


@intrinsic
def _shorts_at(typing: Any, address: Any) -> Any:
    """Turn an address into a pointer to int16."""
    del typing, address
    return numba.types.CPointer(numba.types.int16)(numba.types.int64), inspect.unwrap(_emit_pointer)


@_compiled
def exact(addresses: Any, scales: Any, rows: Any, query: Any) -> Any:
    """Return the dot products of some rows with a query; ``addresses`` of their vectors in int16."""
    out = np.empty(len(rows), np.float32)
    for i in range(len(rows)):
        row, total = rows[i], np.float32(0.0)
        vector = numba.carray(_shorts_at(addresses[row]), query.shape, np.int16)
        for j in range(query.shape[0]):
            total += np.float32(vector[j]) * query[j]
        out[i] = total * scales[row]
    return out


@_compiled
def kth_largest(values: Any, k: Any) -> Any:
    """Return the ``k``-th largest of some numbers, and leave them in another order.

    Hoare's quickselect; ``np.partition`` does the same, but takes numba five seconds to compile.
    """
    first, last, wanted = 0, len(values) - 1, len(values) - k
    while first < last:
        pivot, low, high = values[(first + last) // 2], first, last
        while low <= high:
            while values[low] < pivot:
                low += 1
            while values[high] > pivot:
                high -= 1
            if low <= high:
                values[low], values[high] = values[high], values[low]
                low += 1
                high -= 1
        if high < wanted < low:
            break
        if wanted <= high:
            last = high
        else:
            first = low
    return values[wanted]


@_compiled
def _about_best(scores: Any, wanted: Any) -> Any:
    """Return the places of the largest scores, at least ``wanted`` of them if there are so many; no order."""
    held, places, n, least = np.empty(8 * wanted, np.float32), np.empty(8 * wanted, np.int64), 0, np.float32(-np.inf)
    for i in range(scores.shape[0]):
        if scores[i] > least:
            held[n], places[n] = scores[i], i
            n += 1
            if n == held.shape[0]:
                least = kth_largest(held.copy(), wanted)
                kept = 0
                for j in range(n):
                    if held[j] >= least and kept < 4 * wanted:
                        held[kept], places[kept] = held[j], places[j]
                        kept += 1
                n = kept
    return places[:n]


@_compiled
def _reach(scores: Any, least: Any) -> Any:
    """Return the places of the scores that reach ``least``."""
    n = 0
    for i in range(scores.shape[0]):
        n += scores[i] >= least
    places = np.empty(n, np.int64)
    n = 0
    for i in range(scores.shape[0]):
        if scores[i] >= least:
            places[n] = i
            n += 1
    return places


@_compiled
def candidates(
    codes: Any, factors: Any, addresses: Any, scales: Any, rows: Any, first: Any, estimates: Any,
    query: Any, turned: Any, offset: Any, unit: Any, k: Any, sigma: Any,
) -> Any:  # fmt: skip
    """Return the rows that can be among the ``k`` best, and their exact scores.

    Estimates tell some of the best; the k-th of their exact scores is a lower bound of the one sought; every row whose
    estimate lies less than four standard errors under it is a candidate.
    """
    _estimate(codes, factors, rows, first, turned, offset, unit, estimates)
    places = _about_best(estimates, 4 * k)
    some = rows[places] if len(rows) > 0 else places + first
    bound = np.float64(kth_largest(exact(addresses, scales, some, query), k))
    # Of the code, and of the query in whole numbers, each off by at most half.
    error = np.sqrt(sigma * sigma * max(0.0, 1.0 - bound * bound) + 0.1 * unit * unit)
    places = _reach(estimates, np.float32(bound - 4.0 * error))
    chosen = rows[places] if len(rows) > 0 else places + first
    return chosen, exact(addresses, scales, chosen, query)


@_compiled
def within(
    x: Any, y: Any, z: Any, marks: Any, mark: Any, first: Any, last: Any, lower: Any, upper: Any, fits: Any, out: Any
) -> Any:
    """Write the rows from ``first`` on, before ``last``, that have a mark and lie within bounds; return how many.

    ``fits`` is memory for a byte a row and eight more. A robot stays in a region for a while, and then out of it: most
    stretches of eight rows are left out at one look.
    """
    # Counted from zero, and column by column: such loops become vector instructions.
    n_rows, marks = last - first, marks[first:last]
    for i in range(n_rows):
        fits[i] = (marks[i] & mark) == mark
    for column, low, high in ((x, lower[0], upper[0]), (y, lower[1], upper[1]), (z, lower[2], upper[2])):
        values = column[first:last]
        for i in range(n_rows):
            fits[i] &= np.uint8((values[i] >= low) & (values[i] <= high))
    fits[n_rows : n_rows + 8] = 0
    eights = fits.view(np.uint64)
    n = 0
    for eight in range((n_rows + 7) // 8):
        if eights[eight] != 0:
            for place in range(8 * eight, 8 * eight + 8):
                out[n] = first + place
                n += fits[place]
    return n
