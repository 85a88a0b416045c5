#!/bin/sh
# Builds the uWebSockets server for the benchmark: build.sh CHECKOUT TARGET_DIR
# CHECKOUT is a clone of uWebSockets with its uSockets submodule.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$2/bench/uwebsockets"
cd "$2/bench/uwebsockets"
cc -O3 -march=native -flto -DLIBUS_NO_SSL -I"$1/uSockets/src" -c \
    "$1"/uSockets/src/*.c "$1"/uSockets/src/eventing/epoll_kqueue.c
c++ -std=c++20 -O3 -march=native -flto -DLIBUS_NO_SSL -DUWS_NO_ZLIB -I"$1/src" -I"$1/uSockets/src" \
    "$here/server.cpp" ./*.o -o ../uwebsockets-server
