# SPDX-License-Identifier: Apache-2.0
"""The accelerator as Amaranth generators; of golden/ it imports the parameters only."""
