"""The camera rig: meshes to condition pictures and montages through OpenGL."""
