from __future__ import annotations
import numpy as np, torch
from magenet_batch.degradation.apply import apply_degradation
def degrade_crop(pixels, params, *, height):
    x = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2,0,1)[None]
    return apply_degradation(x,[params],mask_B1HW=torch.ones(1,1,*x.shape[-2:]),height=height)[0].permute(1,2,0).contiguous().numpy()
