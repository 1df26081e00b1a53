"""The batch kernels in C, for setuptools: without a compiler seedstock installs all the same, and works in numpy."""

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel

MARKUP = ("markup_module", "markup", "names", "features", "compose", "scan")


class Stable(bdist_wheel):
    """One wheel for every Python from 3.11 on."""

    def finalize_options(self):
        self.py_limited_api = "cp311"
        super().finalize_options()


setup(
    cmdclass={"bdist_wheel": Stable},
    ext_modules=[
        Extension(
            "seedstock.native._kernels",
            [f"src/seedstock/native/{name}.c" for name in ("module", "gopher", "minhash")],
            depends=[f"src/seedstock/native/{name}.h" for name in ("kernels", "text")],
            extra_compile_args=["-O3", "-std=c11"],
            py_limited_api=True,
            optional=True,
        ),
        Extension(
            "seedstock.native._words",
            [f"src/seedstock/native/{name}.c" for name in ("words_module", "words", "bpe")],
            extra_compile_args=["-O3", "-std=c11"],
            py_limited_api=True,
            optional=True,
        ),
        Extension(
            "seedstock.native._markup",
            [f"src/seedstock/native/{name}.c" for name in MARKUP],
            depends=[f"src/seedstock/native/{name}.h" for name in ("page", "text")],
            extra_compile_args=["-O3", "-std=c11", "-ffp-contract=off"],  # the same sums wherever it is compiled
            py_limited_api=True,
            optional=True,
        ),
    ],
)
