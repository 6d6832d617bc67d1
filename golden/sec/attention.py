# SPDX-License-Identifier: Apache-2.0
"""Text tokens and image tokens -> the scores with which each head's text rows look at the image.

It stands for the softmax of a network, which is not part of the machine.
"""

import numpy as np
from numpy.typing import NDArray

from focus_rtl.golden.sec.importance import Scores

__all__ = ["qk_cycles", "text_scores"]


def qk_cycles(tokens: int, heads: int, depth: int, rows: int, cols: int) -> int:
    """Cycles of the image rows of Q K^T: heads * M * ceil(d / R) * ceil(M / C), a vector per cycle.

    Dense, and without the text's columns: the least time there is for the choice of tokens to hide in, but for
    concentration.
    """
    return heads * tokens * -(-depth // rows) * -(-tokens // cols)


def text_scores(text: NDArray[np.float64], image: NDArray[np.float64], heads: int) -> Scores:
    """(heads * T, M) uint16, binary16 bits: rows of softmax(q k^T / sqrt(d)), head after head.

    A head sees d = width // heads numbers of a token, the same of queries and keys; what is left over nobody sees.
    Tokens are scaled so that the image's have a root mean square of 1, as a normalisation before attention would.

    Parameters
    ----------
    text : (T, width), the queries.  image : (M, width), the keys.  heads : 1 .. width.
    """
    if text.ndim != 2 or image.ndim != 2 or text.shape[1] != image.shape[1] or 0 in (len(text), len(image)):
        raise ValueError(f"tokens of shapes {text.shape} and {image.shape}: must be (T, width) and (M, width)")
    if not 1 <= heads <= text.shape[1]:
        raise ValueError(f"heads = {heads}: must be between 1 and the width, {text.shape[1]}")
    size = float(np.sqrt(np.mean(np.square(image)))) or 1.0
    depth = text.shape[1] // heads
    rows = []
    for head in range(heads):
        part = slice(head * depth, (head + 1) * depth)
        logits = (text[:, part] / size) @ (image[:, part] / size).T / np.sqrt(depth)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        rows.append(powers / powers.sum(axis=1, keepdims=True))
    return np.asarray(np.concatenate(rows).astype(np.float16).view(np.uint16))
