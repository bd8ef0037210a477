"""Hostile input: what reads bytes from outside is tried with bytes that nobody means well with.

    make fuzz                                       # 100,000 cases, in some minutes
    PYTHONPATH=tests python -m fuzz --only model --cases 5000 --seed 7

A kind of input has a fixed corpus, each entry named by what it is, and a generator that knows the
format: it builds good files, odd ones and hostile ones, and then breaks some bytes. Every case
must be refused in one line, or be taken for what a second, plain reader takes it for. Meanwhile
nothing is written, started or unpickled, and memory stays within the bound of the kind.
"""
