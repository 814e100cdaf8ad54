"""source.network and source.process: what a script reaches for outside itself."""

import pytest

from checks import source_network, source_process
from tests.checks.source_scripts import HONEST, lines, look

NETWORK = [
    "import requests  # here",
    "from huggingface_hub import snapshot_download  # here",
    "import urllib.request  # here",
    "import socket\ns = socket.create_connection(('a', 1))  # here",
    "def f():\n    from urllib.request import urlopen as u  # here",
    "import subprocess\nsubprocess.run(['curl', '-O', url])  # here",
    "import os\nos.system('pip install zstandard')  # here",
    "import subprocess, sys\nsubprocess.check_call([sys.executable, '-m', 'pip', 'install', 'x'])  # here",
    "import os\nos.system(f'wget {url}')  # here",
    "m = AutoModel.from_pretrained('gpt2')  # here",
    "import torch\nm = torch.hub.load('a', 'b')  # here",
]
NO_NETWORK = [
    "import socket\nname = socket.gethostname()",
    "from urllib.parse import urlparse\nurlparse(x)",
    "import torch.distributed as dist\ndist.init_process_group('nccl')",
    "m = AutoModel.from_pretrained('here', local_files_only=True)",
    "import subprocess\nsubprocess.run(['brotli', 'curl_weights.bin'])",
    "note = 'pip install zstandard, or curl it'",
    "session.get(key)\nrequests_left = 3",
]
PROCESSES = {
    "import subprocess as sp\nsp.run(['gcc', '-O3', 'a.c'])  # here": "compiles at run time (gcc): legal",
    "import os\nos.system('nvcc a.cu')  # here": "compiles at run time (nvcc): legal",
    "from subprocess import check_call\ncheck_call(['lrzip', 'x'])  # here": "starts lrzip: legal",
    "import os\nif os.fork():  # here\n    pass": "starts a process (os.fork)",
    "import multiprocessing as m\nm.Process(target=f).start()  # here": "starts helpers",
    "import torch.multiprocessing as mp\nmp.get_context('fork').Process(target=f)  # here": "starts helpers",
    "import ctypes\nlib = ctypes.CDLL(path)  # here": "loads native code (ctypes.CDLL): legal",
    "from torch.utils.cpp_extension import load_inline\nload_inline('a', s)  # here": "loads native code",
}
NO_PROCESSES = [
    "import subprocess\nsubprocess.run(['nvidia-smi'], check=False)",
    "import subprocess\nx = subprocess.PIPE",
    "model.run(['gcc'])\nrun('gcc')",
    "import os\nos.path.join('make', 'x')",
]


@pytest.mark.parametrize("script", NETWORK)
def test_what_reaches_a_network_is_pointed_at(script):
    (found,) = lines(source_network, script)
    assert found.endswith("# here")


@pytest.mark.parametrize("script", NO_NETWORK)
def test_what_does_not_draws_no_note(script):
    assert look(source_network, script) == ()


@pytest.mark.parametrize("script", PROCESSES)
def test_what_starts_a_process_is_pointed_at_and_called_legal(script):
    (note,) = look(source_process, script)
    assert note.text.endswith("# here")
    assert note.message.startswith(PROCESSES[script])
    assert "legal" in note.message


@pytest.mark.parametrize("script", NO_PROCESSES)
def test_what_starts_none_draws_no_note(script):
    assert look(source_process, script) == ()


@pytest.mark.parametrize("check", [source_network, source_process])
def test_the_legal_patterns_draw_no_note(check):
    assert look(check, HONEST) == ()
