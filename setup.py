"""Builds the extension module with CMake, in build/wheel; CMAKE_ARGS adds to its options."""

import os
import re
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).parent


class BuildWithCMake(build_ext):
    def build_extension(self, ext):
        tree = ROOT / "build" / "wheel"
        subprocess.run(
            ["cmake", "-S", ROOT, "-B", tree, "--preset", "release", "-D", f"Python_EXECUTABLE={sys.executable}",
             "-D", "SLOPEWISE_BUILD_PYTHON=ON", "-D", "SLOPEWISE_BUILD_APPS=OFF", "-D", "SLOPEWISE_BUILD_TESTS=OFF",
             "-D", "SLOPEWISE_BUILD_EXAMPLES=OFF", *shlex.split(os.environ.get("CMAKE_ARGS", ""))], check=True)
        subprocess.run(["cmake", "--build", tree, "--target", "slopewise_python"], check=True)
        made = tree / "python" / "slopewise" / f"_slopewise{sysconfig.get_config_var('EXT_SUFFIX')}"
        target = Path(self.get_ext_fullpath(ext.name))
        target.parent.mkdir(parents=True, exist_ok=True)
        self.copy_file(str(made), str(target))


version = re.search(r"project\(slopewise VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text()).group(1)
setup(version=version, ext_modules=[Extension("slopewise._slopewise", [])], cmdclass={"build_ext": BuildWithCMake})
