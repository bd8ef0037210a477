{% include "frameworks/" ~ cookiecutter.framework ~ "/classifier.py" -%}
