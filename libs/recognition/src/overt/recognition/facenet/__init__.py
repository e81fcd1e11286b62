"""The PyTorch path: MTCNN finds faces, Inception-ResNet-v1 makes templates (facenet-pytorch).

Only `recipe` and `keras_names` can be imported without the extra `overt-recognition[facenet]`.
"""
