"""The embedded generator: the released classes, small. 16³ structure, 64³ mesh grid, 112 px pictures."""

from __future__ import annotations

from typing import Any

PICTURE_PX = 112
STRUCTURE_RESOLUTION = 16
MESH_RESOLUTION = 4 * STRUCTURE_RESOLUTION
LATENT_RESOLUTION = 8
STRUCTURE_CHANNELS = 4
LATENT_CHANNELS = 12
TOKEN_CHANNELS = 192

CONDITIONER: dict[str, Any] = {
    "hidden_size": TOKEN_CHANNELS,
    "num_hidden_layers": 4,
    "num_attention_heads": 3,
    "mlp_ratio": 4,
    "image_size": PICTURE_PX,
    "patch_size": 14,
    "num_register_tokens": 4,
    "layer_norm_eps": 1e-6,
}

NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "sparse_structure_encoder": (
        "SparseStructureEncoder",
        {
            "in_channels": 1,
            "latent_channels": STRUCTURE_CHANNELS,
            "num_res_blocks": 1,
            "num_res_blocks_middle": 1,
            "channels": [16, 32],
            "use_fp16": True,
        },
    ),
    "sparse_structure_decoder": (
        "SparseStructureDecoder",
        {
            "out_channels": 1,
            "latent_channels": STRUCTURE_CHANNELS,
            "num_res_blocks": 1,
            "num_res_blocks_middle": 1,
            "channels": [32, 16],
            "use_fp16": True,
        },
    ),
    "sparse_structure_flow_model": (
        "SparseStructureFlowModel",
        {
            "resolution": LATENT_RESOLUTION,
            "in_channels": STRUCTURE_CHANNELS,
            "out_channels": STRUCTURE_CHANNELS,
            "model_channels": 192,
            "cond_channels": TOKEN_CHANNELS,
            "num_blocks": 5,
            "num_heads": 6,
            "mlp_ratio": 3,
            "patch_size": 2,
            "pe_mode": "ape",
            "qk_rms_norm": True,
            "share_mod": True,
            "use_fp16": True,
        },
    ),
    "slat_encoder": (
        "SLatEncoder",
        {
            "resolution": STRUCTURE_RESOLUTION,
            "in_channels": TOKEN_CHANNELS,
            "model_channels": 128,
            "latent_channels": LATENT_CHANNELS,
            "num_blocks": 1,
            "num_heads": 4,
            "mlp_ratio": 4,
            "attn_mode": "swin",
            "window_size": 8,
            "use_fp16": True,
        },
    ),
    "slat_decoder_mesh": (
        "SLatMeshDecoder",
        {
            "resolution": STRUCTURE_RESOLUTION,
            "model_channels": 256,
            "latent_channels": LATENT_CHANNELS,
            "num_blocks": 1,
            "num_heads": 4,
            "mlp_ratio": 2,
            "attn_mode": "swin",
            "window_size": 8,
            "use_fp16": True,
            "representation_config": {"use_color": True},
        },
    ),
    "slat_flow_model": (
        "SLatFlowModel",
        {
            "resolution": STRUCTURE_RESOLUTION,
            "in_channels": LATENT_CHANNELS,
            "out_channels": LATENT_CHANNELS,
            "model_channels": 128,
            "cond_channels": TOKEN_CHANNELS,
            "num_blocks": 4,
            "num_heads": 4,
            "mlp_ratio": 2,
            "patch_size": 2,
            "num_io_res_blocks": 2,
            "io_block_channels": [32],
            "pe_mode": "ape",
            "qk_rms_norm": True,
            "share_mod": True,
            "use_fp16": True,
        },
    ),
}
"""Pipeline name of each network: its class and constructor arguments."""
