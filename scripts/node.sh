# A node of its own for a script, in a temporary folder, ended with the script. Sourced, with the command's path in
# $tuplix; then start_node, kill_node, stop_node. Works in $folder.
unset TUPLIX_HOST TUPLIX_PORT TUPLIX_TASK_ID
folder=$(mktemp -d)
export TUPLIX_DATA=$folder/data
node=

end_node() {
    if [ -n "$node" ]; then
        kill -9 "$node" 2>/dev/null || true
        wait "$node" 2>/dev/null || true
    fi
    rm -rf "$folder"
}
trap end_node EXIT

# Starts the node on any free port and waits for its last line of greeting.
start_node() {
    mkfifo "$folder/greeting"
    "$tuplix" up --port 0 >"$folder/greeting" &
    node=$!
    # The read end stays open, or the node's later words would end it.
    exec 3<"$folder/greeting"
    rm "$folder/greeting"
    local line
    while IFS= read -r line <&3; do
        echo "$line"
        case $line in *'stop with'*) return ;; esac
    done
    echo 'the node did not start' >&2
    exit 1
}

# Ends it with SIGKILL: no chance to write anything.
kill_node() {
    kill -9 "$node"
    wait "$node" 2>/dev/null || true
    node=
    exec 3<&-
}

# Ends it in order; its last words.
stop_node() {
    kill "$node"
    cat <&3
    wait "$node"
    node=
    exec 3<&-
}
