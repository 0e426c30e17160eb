# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_pingpong_global_optspecs
    string join \n h/help V/version
end

function __fish_pingpong_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_pingpong_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_pingpong_using_subcommand
    set -l cmd (__fish_pingpong_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c pingpong -n "__fish_pingpong_needs_command" -s h -l help -d 'the commands'
complete -c pingpong -n "__fish_pingpong_needs_command" -s V -l version -d 'the version'
complete -c pingpong -n "__fish_pingpong_needs_command" -f -a "serve" -d 'answer pings, on port 8888 of every address unless told otherwise'
complete -c pingpong -n "__fish_pingpong_needs_command" -f -a "ping" -d 'send pings, and show how long each takes'
complete -c pingpong -n "__fish_pingpong_needs_command" -f -a "load" -d 'load a server, check every reply, measure latency'
complete -c pingpong -n "__fish_pingpong_needs_command" -f -a "help" -d 'the options of a command'
complete -c pingpong -n "__fish_pingpong_needs_command" -f -a "version" -d 'the version'
complete -c pingpong -n "__fish_pingpong_using_subcommand serve" -l listen -d 'HOST:PORT, :PORT, PORT, [v6]:PORT, [v6%interface]:PORT or unix:/path; repeatable; :PORT is every address, port 0 is a free one [:8888]' -r -f -a "(__fish_print_hostnames)"
complete -c pingpong -n "__fish_pingpong_using_subcommand serve" -l backlog -d 'connections that wait to be accepted [4096]' -r -f
complete -c pingpong -n "__fish_pingpong_using_subcommand serve" -l udp-buffer -d 'the UDP sockets\' receive buffer; what was got, if less, is logged [the kernel\'s]' -r -f
complete -c pingpong -n "__fish_pingpong_using_subcommand serve" -l unix-mode -d 'permissions of Unix sockets, octal [0666]' -r -f
complete -c pingpong -n "__fish_pingpong_using_subcommand serve" -l max-connections -d 'further ones wait in the backlog; the log tells [as many as RLIMIT_NOFILE leaves]' -r -f
complete -c pingpong -n "__fish_pingpong_using_subcommand serve" -l max-per-client -d 'connections from one address (IPv6: one /64); further ones are closed at once [no limit]' -r -f
complete -c pingpong -n "__fish_pingpong_using_subcommand serve" -l allow -d 'serve only this network, as in 192.0.2.0/24; repeatable; Unix sockets are not asked [everybody]' -r -f
complete -c pingpong -n "__fish_pingpong_using_subcommand serve" -l max-message -d 'longest line over TCP, its ending included [65536]' -r -f
complete -c pingpong -n "__fish_pingpong_using_subcommand serve" -l idle-timeout -d 'close after this long without a whole message and without a reply byte taken; 0 is never, but for peers that have vanished (TCP keepalive) [5m]' -r -f
complete -c pingpong -n "__fish_pingpong_using_subcommand serve" -l other-rate -d 'UDP replies a second to what is not a ping; 0 is no limit [1000]' -r -f
complete -c pingpong -n "__fish_pingpong_using_subcommand serve" -l drain-timeout -d 'the longest that a graceful stop takes [5s]' -r -f
complete -c pingpong -n "__fish_pingpong_using_subcommand serve" -l admin -d 'metrics and health over HTTP: /metrics, /livez, /readyz [off]' -r -f -a "(__fish_print_hostnames)"
complete -c pingpong -n "__fish_pingpong_using_subcommand serve" -l busy-poll -d 'spin this long before sleeping: CPU for latency [0]' -r -f
complete -c pingpong -n "__fish_pingpong_using_subcommand serve" -l no-tcp -d 'serve UDP only'
complete -c pingpong -n "__fish_pingpong_using_subcommand serve" -l no-udp -d 'serve TCP only'
complete -c pingpong -n "__fish_pingpong_using_subcommand serve" -l reuse-port -d 'let several processes share the port'
complete -c pingpong -n "__fish_pingpong_using_subcommand serve" -l freebind -d 'listen also on addresses that are on no interface yet'
complete -c pingpong -n "__fish_pingpong_using_subcommand serve" -l strict -d 'answer pings only'
complete -c pingpong -n "__fish_pingpong_using_subcommand serve" -s v -l verbose -d 'log each connection; given twice, each message too'
complete -c pingpong -n "__fish_pingpong_using_subcommand serve" -s q -l quiet -d 'log errors only'
complete -c pingpong -n "__fish_pingpong_using_subcommand serve" -s h -l help -d 'this text'
complete -c pingpong -n "__fish_pingpong_using_subcommand serve" -s V -l version -d 'the version'
complete -c pingpong -n "__fish_pingpong_using_subcommand ping" -s s -l size -d 'the ping\'s payload [56]' -r -f
complete -c pingpong -n "__fish_pingpong_using_subcommand ping" -s c -l count -d 'end after so many pings; with -w, after so many replies' -r -f
complete -c pingpong -n "__fish_pingpong_using_subcommand ping" -s i -l interval -d 'from one ping to the next [1s; flood 0]' -r -f
complete -c pingpong -n "__fish_pingpong_using_subcommand ping" -s W -l timeout -d 'how long to wait for a reply; 0 is for ever [1s]' -r -f
complete -c pingpong -n "__fish_pingpong_using_subcommand ping" -s w -l deadline -d 'end after this long; 0 is never' -r -f
complete -c pingpong -n "__fish_pingpong_using_subcommand ping" -l require -d 'exit with 1 unless this holds, such as loss<1% or p99<5ms; repeatable' -r -f
complete -c pingpong -n "__fish_pingpong_using_subcommand ping" -l tcp -d 'over a connection (the default); one that fails is opened anew'
complete -c pingpong -n "__fish_pingpong_using_subcommand ping" -l udp -d 'over UDP; with --tcp too: over both, side by side'
complete -c pingpong -n "__fish_pingpong_using_subcommand ping" -l rotate-port -d 'from a new port each time, to find the one bad path of several'
complete -c pingpong -n "__fish_pingpong_using_subcommand ping" -s 4 -l ipv4 -d 'IPv4 only'
complete -c pingpong -n "__fish_pingpong_using_subcommand ping" -s 6 -l ipv6 -d 'IPv6 only'
complete -c pingpong -n "__fish_pingpong_using_subcommand ping" -s f -l flood -d 'ping as soon as the last was answered, or 10 ms after it; on a terminal a dot for each ping, a backspace for each reply'
complete -c pingpong -n "__fish_pingpong_using_subcommand ping" -s D -l timestamps -d 'the time before each line: [seconds.microseconds] since 1970'
complete -c pingpong -n "__fish_pingpong_using_subcommand ping" -s O -l outstanding -d 'tell, when the next ping is due, that the last has no reply yet (with -W over -i)'
complete -c pingpong -n "__fish_pingpong_using_subcommand ping" -s n -l numeric -d 'as in ping(8); addresses are shown as numbers anyway'
complete -c pingpong -n "__fish_pingpong_using_subcommand ping" -s q -l quiet -d 'only the summary'
complete -c pingpong -n "__fish_pingpong_using_subcommand ping" -l json -d 'a JSON object a line, the summary being the last'
complete -c pingpong -n "__fish_pingpong_using_subcommand ping" -s h -l help -d 'this text'
complete -c pingpong -n "__fish_pingpong_using_subcommand ping" -s V -l version -d 'the version'
complete -c pingpong -n "__fish_pingpong_using_subcommand load" -s c -l connections -d 'connections; over UDP sockets [50]' -r -f
complete -c pingpong -n "__fish_pingpong_using_subcommand load" -s p -l pipeline -d 'requests that may wait for replies on each [1]' -r -f
complete -c pingpong -n "__fish_pingpong_using_subcommand load" -s s -l size -d 'length of a ping [64]' -r -f
complete -c pingpong -n "__fish_pingpong_using_subcommand load" -s d -l duration -d 'how long to measure [10s]' -r -f
complete -c pingpong -n "__fish_pingpong_using_subcommand load" -s n -l requests -d 'end after so many requests; -d too, if it is over before' -r -f
complete -c pingpong -n "__fish_pingpong_using_subcommand load" -l warmup -d 'how long to run before that [0]' -r -f
complete -c pingpong -n "__fish_pingpong_using_subcommand load" -l rate -d 'requests a second in all, evenly, whatever comes back: an open loop; without it a connection\'s next request waits for a reply: a closed loop' -r -f
complete -c pingpong -n "__fish_pingpong_using_subcommand load" -l find-max -d 'the highest rate that keeps a goal such as p99=1ms; each step of the search lasts a tenth of -d' -r -f
complete -c pingpong -n "__fish_pingpong_using_subcommand load" -l timeout -d 'how long to wait for a connection, for replies after the end, and over UDP for any reply [5s; UDP 1s]' -r -f
complete -c pingpong -n "__fish_pingpong_using_subcommand load" -l send -d 'the request, in place of a ping; TCP only' -r -f
complete -c pingpong -n "__fish_pingpong_using_subcommand load" -l expect -d 'the whole reply to it' -r -f
complete -c pingpong -n "__fish_pingpong_using_subcommand load" -l skip-lines -d 'lines that the server says first [0]' -r -f
complete -c pingpong -n "__fish_pingpong_using_subcommand load" -l hdr -d 'write the percentile distribution (.hgrm)' -r -F
complete -c pingpong -n "__fish_pingpong_using_subcommand load" -l require -d 'exit with 1 unless this holds, such as p99<2ms or replies_per_s>=10k; repeatable' -r -f
complete -c pingpong -n "__fish_pingpong_using_subcommand load" -l tcp -d 'over TCP (the default)'
complete -c pingpong -n "__fish_pingpong_using_subcommand load" -l udp -d 'over UDP; lost, duplicated, reordered are told apart'
complete -c pingpong -n "__fish_pingpong_using_subcommand load" -l json -d 'one JSON object'
complete -c pingpong -n "__fish_pingpong_using_subcommand load" -s h -l help -d 'this text'
complete -c pingpong -n "__fish_pingpong_using_subcommand load" -s V -l version -d 'the version'
