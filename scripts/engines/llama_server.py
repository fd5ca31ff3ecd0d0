#!/usr/bin/env python3
"""Runs llama.cpp's server from the package xllamacpp, with the options of `llama-server` that inarvl needs.

.engines/llamacpp/bin/python scripts/engines/llama_server.py --model DECODER.gguf --mmproj MMPROJ.gguf
"""

from __future__ import annotations

import argparse
import signal
from pathlib import Path

import xllamacpp


def main() -> None:
    """Serves one model until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(description="Runs llama.cpp's server.")
    parser.add_argument("--model", required=True, help="GGUF file of the decoder")
    parser.add_argument("--mmproj", required=True, help="GGUF file of the vision tower")
    parser.add_argument("--alias", required=True, help="name of the model for clients")
    parser.add_argument("--host", default="127.0.0.1", help="address, or the path of a unix socket (*.sock)")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--ctx-size", type=int, default=4096, help="tokens of all parallel requests together")
    parser.add_argument("--parallel", type=int, default=1, help="requests that are computed at the same time")
    parser.add_argument("--threads", type=int, default=xllamacpp.GGML_DEFAULT_N_THREADS)
    parser.add_argument(
        "--n-gpu-layers", type=int, default=-1, help="layers on the GPU; -1 for as many as fit"
    )
    parser.add_argument("--image-min-tokens", type=int, default=-1, help="-1 for the model's own")
    parser.add_argument("--image-max-tokens", type=int, default=-1, help="-1 for the model's own")
    parser.add_argument("--metrics", action="store_true", help="as always here")
    parser.add_argument("--jinja", action="store_true", help="as always here")
    options = parser.parse_args()

    params = xllamacpp.CommonParams()
    params.model.path = options.model
    params.mmproj.path = options.mmproj
    params.model_alias = {options.alias}
    params.hostnames = [options.host]
    params.port = options.port
    params.n_ctx = options.ctx_size
    params.n_parallel = options.parallel
    params.cpuparams.n_threads = options.threads
    params.n_gpu_layers = options.n_gpu_layers
    params.image_min_tokens = options.image_min_tokens
    params.image_max_tokens = options.image_max_tokens
    params.endpoint_metrics = True
    if options.host.endswith(".sock"):
        Path(options.host).unlink(missing_ok=True)  # a killed server leaves it, and the next one then fails
    stops = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stops)
    server = xllamacpp.Server(params)  # serves until it is deleted
    signal.sigwait(stops)
    del server


if __name__ == "__main__":
    main()
