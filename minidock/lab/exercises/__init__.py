"""The checks and quiz questions of each chapter, one module a chapter; ``begin`` imports the one it needs.

A check gets the reader's answer (``...`` while the placeholder stands) and looks at the final state: see ``checks``.
"""
