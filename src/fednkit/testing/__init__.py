"""The conformance suite: checks of the model, data and package, to run as a project's own tests.

    @parametrize_with_checks(classifier_checks(Classifier), opt_outs={"name_of_a_check": "reason"})
    def test_classifier(check):
        check()

Each check is a separate test, and its message says what to do.
"""

from ._check import Check, parametrize_with_checks
from ._classifier import classifier_checks
from ._package import package_checks

__all__ = ["Check", "classifier_checks", "package_checks", "parametrize_with_checks"]
