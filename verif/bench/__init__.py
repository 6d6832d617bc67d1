# SPDX-License-Identifier: Apache-2.0
"""The reusable bench: find the tools, build and run a unit in Verilator, drive its streams, compare every word."""
