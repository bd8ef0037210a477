{% include "tasks/" ~ cookiecutter.task ~ "/test_contract.py" -%}
