"""Adapters to other packages, one module each, imported by name: `albumentations`, `sklearn`.

May import the rooms from `core` to `mixing`. Imports neither adapter itself, since each needs a
slow package.
"""
