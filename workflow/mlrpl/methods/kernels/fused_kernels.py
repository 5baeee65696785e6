"""Triton kernels of the low-rank bilinear attention; this module imports Triton.

They make s = sigmoid(x_c * u_l) of [B, C, L, J] in registers, tile by tile, and never
write it. What the launches pass is in `fused_attention`: of C contiguous tensors

- `u` [B, L, J], `x` [C, J], `v` [J], `mean` and its gradient [B, C, J];
- what is one number for a location and a class [B, L, stride], the classes last and
  filled up with zeros to a multiple of a tile's classes, so that a tile reads them from
  one place and without a mask.

Sums go over a tile in a fixed order and there are no atomics: the same bits each time.

The tiles are chosen by counting, not by measuring. A value takes two special functions,
exp2 and the reciprocal, of which a multiprocessor does 16 a clock, and 8 to 13 other
instructions, of which it starts 128 a clock in all: each kernel waits for the former.
At the paper's sizes that is 3 x 257 million values x 2 / 16 clocks, on 132 of them at
1.7 GHz 0.43 ms, to which `attend` adds a sixteenth for its softmax. Beside it, from the
L2 cache, `attend` and `to_attention` read u once for each 4 classes, 0.26 GB each, and
`to_inputs` writes five parts of 13 MB for u and 21 MB for x, which are read to be
summed. So a step should take below 1 ms, if two thirds of the first rate are reached.
"""

import triton
import triton.language as tl

# The interpreter, with which the tests run on a CPU, knows no assembly.
_INTERPRETED = tl.constexpr(triton.knobs.runtime.interpret)
_MINUS_LOG2_E = tl.constexpr(-1.4426950408889634)
_MINUS_LOG_2 = tl.constexpr(-0.6931471805599453)


@triton.jit
def _reciprocal(value):
    """1 / value; Triton's own division takes five instructions for it."""
    if _INTERPRETED:
        return 1.0 / value
    else:
        return tl.inline_asm_elementwise(
            "rcp.approx.ftz.f32 $0, $1;",
            "=f,f",
            [value],
            dtype=tl.float32,
            is_pure=True,
            pack=1,
        )


@triton.jit
def _sigmoid(exponents, u):
    """Sigmoid of x * u with exponents = -x log2(e), so that s = 1 / (1 + 2^(e u)).

    Where the power overflows, its reciprocal is 0; where it underflows, s is 1.
    """
    return _reciprocal(1.0 + tl.exp2(exponents * u))


@triton.jit
def _classes_of_an_image(
    count, WIDTH: tl.constexpr, COLUMNS: tl.constexpr, CLASSES: tl.constexpr
):
    """What a program is for that sums over J: its image b, classes c and columns j.

    Also the places [CLASSES, COLUMNS] of its tile in [C, J], and which are there.
    """
    blocks = tl.cdiv(count, CLASSES)
    program = tl.program_id(0)
    b = (program // blocks).to(tl.int64)
    c = (program % blocks) * CLASSES + tl.arange(0, CLASSES)
    j = tl.arange(0, COLUMNS)
    inside = (c < count)[:, None] & (j < WIDTH)[None, :]
    tile = c[:, None].to(tl.int64) * WIDTH + j[None, :]
    return b, c, j, tile, inside


@triton.jit(do_not_specialize=["length", "count", "stride"])
def attend(
    u_ptr,
    x_ptr,
    v_ptr,
    logit_ptr,
    mean_ptr,
    length,
    count,
    stride,
    WIDTH: tl.constexpr,
    COLUMNS: tl.constexpr,
    CLASSES: tl.constexpr,
):
    """Write the logits v . s and the mean of s that their softmax weights.

    One program an image and a few classes; it goes over the locations once and keeps
    the sums of the softmax relative to the highest logit so far.
    """
    b, c, j, tile, inside = _classes_of_an_image(count, WIDTH, COLUMNS, CLASSES)
    exponents = tl.load(x_ptr + tile, mask=inside, other=0.0) * _MINUS_LOG2_E
    v = tl.load(v_ptr + j, mask=j < WIDTH, other=0.0)
    u_row = u_ptr + b * length * WIDTH
    logit_row = logit_ptr + b * length * stride
    highest = tl.full([CLASSES], float("-inf"), tl.float32)
    total = tl.zeros([CLASSES], tl.float32)
    mean = tl.zeros([CLASSES, COLUMNS], tl.float32)
    following = tl.load(u_row + j, mask=j < WIDTH, other=0.0)
    for i in range(length):
        u = following
        u_row += WIDTH
        following = tl.load(u_row + j, mask=(j < WIDTH) & (i + 1 < length), other=0.0)
        s = _sigmoid(exponents, u[None, :])
        logit = tl.sum(s * v[None, :], axis=1)
        tl.store(logit_row + c, logit, mask=c < count)
        logit_row += stride
        # One exponential: either the sums shrink or the new weight is below 1.
        rise = logit - highest
        ratio = tl.exp(-tl.abs(rise))
        shrink = tl.where(rise > 0, ratio, 1.0)
        weight = tl.where(rise > 0, 1.0, ratio)
        highest = tl.where(rise > 0, logit, highest)
        total = total * shrink + weight
        mean = mean * shrink[:, None] + s * weight[:, None]
    mean = mean / total[:, None]
    tl.store(mean_ptr + b * count * WIDTH + tile, mean, mask=inside)


@triton.jit(do_not_specialize=["length", "count", "stride", "g_b", "g_c", "g_l"])
def to_attention(
    u_ptr,
    x_ptr,
    g_mean_ptr,
    g_attention_ptr,
    out_ptr,
    length,
    count,
    stride,
    g_b,
    g_c,
    g_l,
    WIDTH: tl.constexpr,
    COLUMNS: tl.constexpr,
    CLASSES: tl.constexpr,
):
    """Write the gradient of the attention: its own, and g_mean . s through the mean.

    One program an image and a few classes. The attention's own gradient [B, C, L] has
    the strides g_b, g_c and g_l.
    """
    b, c, j, tile, inside = _classes_of_an_image(count, WIDTH, COLUMNS, CLASSES)
    exponents = tl.load(x_ptr + tile, mask=inside, other=0.0) * _MINUS_LOG2_E
    g_mean = tl.load(g_mean_ptr + b * count * WIDTH + tile, mask=inside, other=0.0)
    u_row = u_ptr + b * length * WIDTH
    own = g_attention_ptr + b * g_b + c.to(tl.int64) * g_c
    out_row = out_ptr + b * length * stride
    following = tl.load(u_row + j, mask=j < WIDTH, other=0.0)
    for i in range(length):
        u = following
        u_row += WIDTH
        following = tl.load(u_row + j, mask=(j < WIDTH) & (i + 1 < length), other=0.0)
        g = tl.load(own, mask=c < count, other=0.0)
        own += g_l
        g += tl.sum(_sigmoid(exponents, u[None, :]) * g_mean, axis=1)
        tl.store(out_row + c, g, mask=c < count)
        out_row += stride


@triton.jit(do_not_specialize=["images", "length", "count", "first", "last", "stride"])
def to_inputs(
    u_ptr,
    x_ptr,
    v_ptr,
    attention_ptr,
    g_logit_ptr,
    g_mean_ptr,
    u_parts_ptr,
    x_parts_ptr,
    v_parts_ptr,
    images,
    length,
    count,
    first,
    last,
    stride,
    WIDTH: tl.constexpr,
    COLUMNS: tl.constexpr,
    CLASSES: tl.constexpr,
):
    """Write parts of the three gradients, of the classes from `first` to `last`.

    One program an image, a block of classes and a block of columns:

    - u's part [blocks of classes, B, L, J], a sum over the block's classes;
    - x's part [B, C, J], a sum over the locations;
    - v's part [B, blocks of classes, J], a sum over both.
    """
    columns = tl.cdiv(WIDTH, COLUMNS)
    blocks = tl.cdiv(last - first, CLASSES)
    program = tl.program_id(0)
    j = (program % columns) * COLUMNS + tl.arange(0, COLUMNS)
    block = (program // columns) % blocks
    b = (program // columns // blocks).to(tl.int64)
    k = tl.arange(0, CLASSES)
    c = first + block * CLASSES + k
    inside = (c < last)[:, None] & (j < WIDTH)[None, :]
    tile = c[:, None].to(tl.int64) * WIDTH + j[None, :]
    exponents = tl.load(x_ptr + tile, mask=inside, other=0.0) * _MINUS_LOG2_E
    v = tl.load(v_ptr + j, mask=j < WIDTH, other=0.0)
    g_mean = tl.load(g_mean_ptr + b * count * WIDTH + tile, mask=inside, other=0.0)
    u_row = u_ptr + b * length * WIDTH
    u_part = u_parts_ptr + (block.to(tl.int64) * images + b) * length * WIDTH
    row = b * length * stride + first + block * CLASSES
    a_row = attention_ptr + row
    g_row = g_logit_ptr + row
    g_x = tl.zeros([CLASSES, COLUMNS], tl.float32)
    g_v = tl.zeros([COLUMNS], tl.float32)
    following = tl.load(u_row + j, mask=j < WIDTH, other=0.0)
    for i in range(length):
        u = following
        u_row += WIDTH
        following = tl.load(u_row + j, mask=(j < WIDTH) & (i + 1 < length), other=0.0)
        a = tl.load(a_row + k)
        g_logit = tl.load(g_row + k)
        a_row += stride
        g_row += stride
        s = _sigmoid(exponents, u[None, :])
        g_v += tl.sum(g_logit[:, None] * s, axis=0)
        g_s = a[:, None] * g_mean + g_logit[:, None] * v[None, :]
        g_z = (s - s * s) * g_s
        g_x += g_z * u[None, :]
        g_u = tl.sum(g_z * exponents, axis=0) * _MINUS_LOG_2  # the exponents' factor
        tl.store(u_part + j, g_u, mask=j < WIDTH)
        u_part += WIDTH
    tl.store(x_parts_ptr + b * count * WIDTH + tile, g_x, mask=inside)
    v_part = v_parts_ptr + (b * blocks + block) * WIDTH
    tl.store(v_part + j, g_v, mask=j < WIDTH)
