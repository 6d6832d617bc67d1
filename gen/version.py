# SPDX-License-Identifier: Apache-2.0
"""The version of focus-rtl; the packaging reads it from here."""

__all__ = ["VERSION"]

VERSION = "0.1.0"
