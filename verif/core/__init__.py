# SPDX-License-Identifier: Apache-2.0
"""The whole core against the golden model: tests, the campaign over configurations, the mutants."""
