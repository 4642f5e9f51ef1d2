"""Files that are no recordings but name some: what FFmpeg would open for whoever gives them to it."""

PLAYLISTS = {
    "hls of a file": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:{file}\n#EXT-X-ENDLIST\n",
    "hls of a path": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{file}\n#EXT-X-ENDLIST\n",
    "hls of an address": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{address}\n#EXT-X-ENDLIST\n",
    "hls of a joined file": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nconcat:{file}|{file}\n#EXT-X-ENDLIST\n",
    "hls with a key": "#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI={address}\n#EXTINF:10,\n{file}\n#EXT-X-ENDLIST\n",
    "hls after a blank line": "\n#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:{file}\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile '{file}'\n",
    "concat without a head": "file '{file}'\n",
    "dash": (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT10S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"><Period>'
        '<AdaptationSet mimeType="audio/mp4"><Representation id="a" bandwidth="1"><BaseURL>{address}</BaseURL>'
        "<SegmentBase/></Representation></AdaptationSet></Period></MPD>"
    ),
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 9 RTP/AVP 0\n",
    "pls": "[playlist]\nFile1={address}\nNumberOfEntries=1\n",
    "asx": '<asx version="3.0"><entry><ref href="{address}"/></entry></asx>',
    "smil": '<smil><body><audio src="{address}"/></body></smil>',
}
