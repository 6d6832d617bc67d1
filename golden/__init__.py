# SPDX-License-Identifier: Apache-2.0
"""The specification, executable: plain NumPy, written from docs/numerics.md, importing nothing of the hardware."""
